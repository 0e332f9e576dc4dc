"""The simulator: traces in, placements and figures out, with no cluster and no clock but its caller's."""
