"""A large capture analysed by several processes, each of which tracks its share of the flows.

Every worker maps the same file and decodes all headers, which is cheap; whose addresses and
ports do not fall into its share it drops. Three times the workers stop and show each other
what they found (``part``): what the capture shows as a whole, the cards of the judged flows,
and at last finished rows. So what comes out is what one process would have said.
"""
