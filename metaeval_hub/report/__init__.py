"""The report of `metaeval report`: the paper's tables and figures, compared with the results of runs."""
