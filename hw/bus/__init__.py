"""Bus interfaces."""
