"""The software of Firstspike: load, convert, golden model, compile, driver, command line."""
