"""From Sampan's nouns to Docker's wire. Pure: the moment is an argument."""
