"""What netadmin knows as numbers, for Prometheus: ``/metrics``.

Place in the data's way: beside the pages, over the same queries. ``reading`` asks the database and
the broker and gives plain values, ``declared`` names every family once, ``exposition`` writes the
text, ``scraping`` answers the request. None of it knows an address, a port or a program of a host:
a label is the name of a host, or a word that netadmin itself chose, so that no host can make new
series by what it prints.
"""
