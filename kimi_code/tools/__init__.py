"""What the model can call, one tool per module. Invariant: a tool asks no approval and knows no screen."""
