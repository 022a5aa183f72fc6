"""`coldstart recommend`: the cheapest configuration that meets the objectives, its margin, and why not a cheaper one.

The method is ranking and selection with common random numbers: candidates in the order of their cost meet the same
arrivals at the wake's upper quantile, one that misses an objective with any seed is out, and the first that is left is
the answer (S.-H. Kim and B. L. Nelson, "A fully sequential procedure for indifference-zone selection in simulation",
2001). Its margin, the longest wake that it survives, is found by bisection.
"""
