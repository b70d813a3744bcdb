"""From stories to movies: what each needs is planned, made piece by piece, judged, assembled and shown."""
