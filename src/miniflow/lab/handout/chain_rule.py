# ## Exercise 2: the gradient of f, by the chain rule
#
# ### Questions and answers
#
# **What is dgdx?** Our name in code for the derivative of g with respect to x.
#
# **What is the gradient?** The list of all derivatives of one output: one number for each input.
#
# **Could I not multiply f out first?** Here, yes, and it is a good way to see that you are right.
# A network cannot be multiplied out, so in the code go edge by edge.
#
# **What is a consumer?** A node that uses another one's value. In f = x * y + x * z the consumers
# of x are g and h.
#
# **How do I run it?** `miniflow lab check chain_rule`, or `check("chain_rule")` in the notebook.

# Question 1. The ice cream stall again: x = 3, w1 = 2, w3 = 1.5, b = 1, label 12. The derivatives along
# its chain, from the loss back to f1, are dL/df4 = -4, df4/df3 = 1, df3/df2 = w3 and df2/df1 = 1 (the
# bend leaves positive numbers as they are). What is the derivative of L with respect to f1?
# And, one step further (f1 = x * w1), with respect to w1?
dL_df1 = ...
dL_dw1 = ...

# Question 2. f = x*y + x*z at x = 3, y = 4, z = -5. What is its gradient? A list: the derivatives of
# f with respect to x, y and z. By hand, please.
gradient = ...

# Question 3. How many paths lead from x to f? How many from y to f?
paths_from_x = ...
paths_from_y = ...

# Question 4. Somebody adds e = x * u to the graph, for another purpose (f does not use e).
# Over how many paths must we now add up to get the derivative of f with respect to x?
paths_from_x_beside_e = ...


# Code. The gradient of f at any x, y, z. Fill in the derivative of each edge, then combine them.
def gradient_of_f(x, y, z):
    dfdg = 1.0
    dfdh = 1.0
    dgdx = ...
    dgdy = ...
    dhdx = ...
    dhdz = ...

    dfdx = ...
    dfdy = ...
    dfdz = ...
    return [dfdx, dfdy, dfdz]


# Code. Now n copies of f in a row, as in the picture: f1 = x*y + x*z, f2 = f1*y + f1*z, and so on.
# The derivative of the last of them with respect to x. Start at the end with 1 and step back copy
# by copy: one pass of the loop for one copy, so that a thousand copies take no time.
def slope_of_copies(y, z, n):
    grad = 1.0  # the derivative of the last f with respect to itself
    for _ in range(n):
        raise NotImplementedError("slope_of_copies is not written yet.")
    return grad
