"""From Docker's wire to Sampan's nouns. Pure: a request goes in, a value or an `InvalidArgument` comes out."""
