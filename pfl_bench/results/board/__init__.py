"""The judgement of a board: many entries on many scenarios. Tables first; findings are sentences about them."""
