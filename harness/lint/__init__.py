"""The chain of timeouts of a configuration: rules, each shown by a trial in virtual time that fails because of it."""
