"""Operations: each validates its input and makes one change, with its audit entry in the same transaction."""
