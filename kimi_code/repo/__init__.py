"""Know a repository and change it. Owns files, processes and git; invariant: nothing leaves the workspace's roots unnoticed."""
