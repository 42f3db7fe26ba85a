"""Lists of hosts kept elsewhere: reads them, and brings the inventory to what they say, guarded.

Place in the data's way: before everything, beside the pages that edit hosts. Knows no probes.
"""
