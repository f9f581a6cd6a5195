"""From restored slices to tables: metrics, statistics, published values, pages and figures."""
