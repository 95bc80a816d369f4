"""The subcommands of `firstspike`, one file each."""
