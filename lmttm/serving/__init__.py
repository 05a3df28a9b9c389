"""A page on this computer to try a model: uploads, processes of their own, the server."""
