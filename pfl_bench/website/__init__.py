"""A static site of published results and documentation: folders in, pages out. Imports neither torch nor ray."""
