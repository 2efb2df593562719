"""Know a repository and change it: files, processes, git. Invariant: nothing leaves the roots unnoticed."""
