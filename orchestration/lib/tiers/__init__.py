"""Member tiers: rules as data, checked before they are used."""
