"""A page that people look at: what a run did, in pictures and tables."""
