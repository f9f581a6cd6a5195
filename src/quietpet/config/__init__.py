"""Every section of a configuration: records with units and limits, without behaviour of their own."""
