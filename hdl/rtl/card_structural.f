// The whole card with the structural arithmetic view. Paths are relative to this file: read it with `-F`.
-F arith_structural.f
-F card.f
