"""Operations: the durable calls of a body, one module for each kind."""
