"""Words for what the rules of ``probes.analysis`` find, for pages, JSON and the report alike."""
