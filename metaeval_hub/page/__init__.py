"""The interactive map of tasks as one HTML file.

``runs`` reads the runs, ``content`` computes the data of the page, ``write`` writes the file, and ``push`` publishes it
on the Hub. ``app/`` contains the page itself: plain HTML, CSS and JavaScript.
"""
