"""What HTTP servers of several facades share: TLS under the protocol."""
