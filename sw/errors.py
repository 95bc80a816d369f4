"""The one exception that a user is meant to see."""


class UserError(Exception):
    """Something that the user can mend; the message is one clear sentence.

    The command line prints the message on standard error and exits with code 2.
    """
