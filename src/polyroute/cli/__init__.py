"""The command line: `polyroute VERB`."""
