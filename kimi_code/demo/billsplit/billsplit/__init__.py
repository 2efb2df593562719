"""Who owes whom after a dinner."""
