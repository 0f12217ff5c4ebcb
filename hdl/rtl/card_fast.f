// The whole card with the fast arithmetic view. Paths are relative to this file: read it with `-F`.
-F arith_fast.f
-F card.f
