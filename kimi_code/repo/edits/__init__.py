"""Parts of `patch`: where an old text stands in a file, and what is shown when it stands nowhere."""
