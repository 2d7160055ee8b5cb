"""Derivatives by nudge and by rule, the chain rule, the notation, why every path counts
(f = x*y + x*z), and dynamic programming as the reason that backpropagation is cheap.
"""

# %% [markdown]
# # [[chain_rule]]. The chain rule
#
# At the end of chapter [[networks]] you had three slopes of the ice cream stall's loss, found by nudging
# each weight: $-18$, $-24$ and $-4$. Here they come out of a few multiplications, exactly. There
# are only two rules: **along a path, multiply; over several paths, add.** The rest of the course
# is these two rules, with larger and larger things in the place of numbers.
#
# ## A derivative is an exchange rate
#
# Take the simplest function of two arguments:
#
# $$ mul(x, y) = x \cdot y $$
#
# Let $y = 10$ and change $x$ from 3 to 4. Then $mul$ goes from 30 to 40: by 10, which is $y$.
# Whenever $x$ goes up by 1, $mul$ goes up by $y$. That is the derivative with respect to $x$, and
# $y$ counts as a constant while we take it. With the roles changed:
#
# $$ \frac{\partial mul}{\partial x} = y \qquad \frac{\partial mul}{\partial y} = x $$
#
# And now add. What is its exchange rate, and does it depend on $y$?
#
# $$ add(x, y) = x + y \qquad \frac{\partial add}{\partial x} = 1 \qquad \frac{\partial add}{\partial y} = 1 $$
#
# If $x$ goes up by 1, so does the sum, whatever $y$ is: an addition hands every change through as
# it is. You need not believe any of this. Nudge:

# %%
nudge = 0.001
print("mul, nudging x:", round(((3 + nudge) * 10 - 3 * 10) / nudge, 6))
print("add, nudging x:", round(((3 + nudge) + 10 - (3 + 10)) / nudge, 6))
print(
    "square, nudging x:", round(((3 + nudge) ** 2 - 3**2) / nudge, 6), " a step of 1:", 4**2 - 3**2
)

# %% [markdown]
# For mul and add a step of any size tells the truth. For a curve, like the square, the derivative
# ($2x = 6$) is what the answer comes to as the step becomes small.
#
# ## Along a path, multiply
#
# If $f$ changes twice as fast as $g$, and $g$ three times as fast as $x$, then $f$ changes six
# times as fast as $x$. That is the chain rule. Back to the stall, whose $w_3$ is two steps from
# the prediction and three from the loss:
#
# ![A chain: the feature 3, times w1, max(0, ·), times w3, plus b gives the prediction 10; L compares it with the label 12: the loss is 4.](pictures/composition.svg)
#
# - $L$ is $(f_4 - 12)^2$. Its derivative with respect to $f_4$ is
#   $2 (f_4 - 12) = 2 (10 - 12) = -4$.
# - $f_4$ is $f_3 + b$: an addition, so $1$.
# - $f_3$ is $f_2 \cdot w_3$: the derivative with respect to $w_3$ is the other factor, $f_2 = 6$.
#
# $$ \frac{\partial L}{\partial w_3} = \frac{\partial L}{\partial f_4} \cdot \frac{\partial f_4}{\partial f_3} \cdot \frac{\partial f_3}{\partial w_3} = -4 \cdot 1 \cdot 6 = -24 $$
#
# There is our $-24$. (Here $f_3$ stands for what the function gives, as well as for the function.
# Everybody writes it so.)
#
# ### Quick aside: notation
#
# In a textbook on calculus the chain rule is often written with primes, and here with $\partial$,
# which is read "partial":
#
# $$ \frac{d}{dx} f(g(x)) = f'(g(x)) g'(x) \qquad\qquad \frac{\partial f}{\partial x} = \frac{\partial f}{\partial g} \frac{\partial g}{\partial x} $$
#
# Both say the same. The second form says *which* argument is nudged while the others rest, and
# that is our question all the time: what effect did *this one* weight have on the loss? So we
# stay with it.
#
# ### No factor may be left out
#
# A weight deep inside a network goes into the first function only; the loss sees what the last one gave. Between them
# stands one factor for each function, however many there are:
#
# $$ \frac{\partial L}{\partial w} = \frac{\partial L}{\partial f_4} \frac{\partial f_4}{\partial f_3} \frac{\partial f_3}{\partial f_2} \frac{\partial f_2}{\partial f_1} \frac{\partial f_1}{\partial w} $$
#
# One may write $\frac{\partial L}{\partial f_1} \frac{\partial f_1}{\partial w}$ for short; then the first factor *is* the product
# of the four. Leave one out and the gradient is wrong (unless that one happens to be 1). In the stall, forgetting that
# $f_3$ multiplies by 1.5 would give $-12$ where the nudge says $-18$. (You will do this product in the exercise.)
#
# ## Over several paths, add
#
# So far each thing was used once. Here is the smallest function in which something is used twice,
# and we will take it apart in every way there is:
#
# $$ f(x, y, z) = x \cdot y + x \cdot z $$

# %%
x, y, z = 3, 4, -5

g = x * y
h = x * z
f = g + h
print("g", g, " h", h, " f", f)

# %% [markdown]
# As a picture: round things are inputs, boxes are functions, an arrow says "is used by". Such a
# picture is called a **graph**, and its boxes and circles **nodes**.
#
# ![The graph of f: x and y go into g = 12, x and z go into h = −15, g and h go into f = −3.](pictures/case_study.svg)
#
# Now nudge $x$ upwards. Through $g$, where it meets a 4, it pushes $f$ up. Through $h$, where it
# meets a $-5$, it pulls $f$ down. Who wins? Guess, then run.

# %%
nudged = 3.001
print("f was", 3 * 4 + 3 * -5, " f is", round(nudged * 4 + nudged * -5, 6))

# %% [markdown]
# Down, by as much as $x$ went up: the derivative is $-1$. Now by rule. Each edge of the graph has
# its own, local derivative, and each is one of the two that we know:
#
# $$ \frac{\partial f}{\partial g} = 1 \quad \frac{\partial f}{\partial h} = 1 \quad \frac{\partial g}{\partial x} = y \quad \frac{\partial g}{\partial y} = x \quad \frac{\partial h}{\partial x} = z \quad \frac{\partial h}{\partial z} = x $$
#
# There is one path from $y$ to $f$ and one from $z$ to $f$: multiply. From $x$ there are two, and
# $f$ feels both: multiply along each, and add.
#
# $$ \frac{\partial f}{\partial x} = \frac{\partial f}{\partial g} \frac{\partial g}{\partial x} + \frac{\partial f}{\partial h} \frac{\partial h}{\partial x} \qquad \frac{\partial f}{\partial y} = \frac{\partial f}{\partial g} \frac{\partial g}{\partial y} \qquad \frac{\partial f}{\partial z} = \frac{\partial f}{\partial h} \frac{\partial h}{\partial z} $$
#
# $$ \frac{\partial f}{\partial x} = 1 \cdot y + 1 \cdot z = y + z \qquad \frac{\partial f}{\partial y} = 1 \cdot x = x \qquad \frac{\partial f}{\partial z} = 1 \cdot x = x $$
#
# ![Both paths from x to f are lit: 1 · 4 through g and 1 · (−5) through h; their sum is −1.](pictures/case_study_paths.svg)
#
# $4 - 5 = -1$, as the nudge said. (And as algebra says: $xy + xz = x (y + z)$.)
#
# **Which paths count?** Those that reach $f$, and only those. Here $x$ is used a third time, by
# $e$, for something that has nothing to do with $f$:
#
# ![x has a third consumer, e, from which no arrow leads to f; the two paths through g and h are lit.](pictures/second_head.svg)
#
# Nudging $x$ changes $e$ as well, but $f$ never hears of it. So do not count the arrows that
# leave $x$; **start at $f$ and trace back to $x$**. What you do not meet on the way does not
# count.
#
# ## Why it is cheap
#
# Two paths are soon added up. But let $f$ be the $x$ of another such function, and so on. Three
# copies in a row:
#
# ![Three copies of f in a row: g1 and h1 lead to f1, which goes into g2 and h2, and so on to f3.](pictures/copies.svg)
#
# How many paths lead from $x$ to the end? Each copy offers two ways, so $2 \cdot 2 \cdot 2 = 8$.
# And thirty copies? Count the edges on those paths, too: four in each copy.
#
# ![On a scale of powers of ten, paths rise to 1 073 741 824 for thirty copies, edges only to 120.](pictures/paths_and_edges.svg)
#
# More than a thousand million paths, over 120 edges. Whoever follows each path multiplies the
# same few derivatives over and over. The cure is old and simple: solve small problems first and
# **remember the answers** (it is called *dynamic programming*). To count the paths, nobody has to walk them:

# %%
paths = 1  # at the end
for _ in range(30):
    paths = paths + paths  # each step back offers two ways, and what they lead to is known
print(paths, "paths, in thirty additions")

# %% [markdown]
# Derivatives go the same way. Start at the end, where $\partial f / \partial f = 1$. Step back
# from each function to what it was computed from, and at each one write down the *sum over its
# consumers*, once. Before a step back from $f_2$ you need $\partial f_3 / \partial f_2$ only; how
# many paths went into that number no longer matters.
#
# That is **backpropagation** (in mathematics: *reverse-mode differentiation*). One walk forward
# for the values, one walk back for the derivatives of the output with respect to *everything*,
# each edge used once. For a network of a million weights it costs about as much as two or three
# runs of the network; nudging costs a million.

# %% [markdown] tags=["file"]
# ## Exercise [[chain_rule]]: the gradient of f, by the chain rule
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

# %% tags=["file"]
# Question 1. The ice cream stall again: x = 3, w1 = 2, w3 = 1.5, b = 1, label 12. The derivatives along
# its chain, from the loss back to f1, are dL/df4 = -4, df4/df3 = 1, df3/df2 = w3 and df2/df1 = 1 (the
# bend leaves positive numbers as they are). What is the derivative of L with respect to f1?
# And, one step further (f1 = x * w1), with respect to w1?
### BEGIN SOLUTION
# stub: dL_df1 = ...
# stub: dL_dw1 = ...
dL_df1 = -4 * 1 * 1.5 * 1
dL_dw1 = dL_df1 * 3
### END SOLUTION

# Question 2. f = x*y + x*z at x = 3, y = 4, z = -5. What is its gradient? A list: the derivatives of
# f with respect to x, y and z. By hand, please.
### BEGIN SOLUTION
# stub: gradient = ...
gradient = [-1, 3, 3]
### END SOLUTION

# Question 3. How many paths lead from x to f? How many from y to f?
### BEGIN SOLUTION
# stub: paths_from_x = ...
# stub: paths_from_y = ...
paths_from_x = 2
paths_from_y = 1
### END SOLUTION

# Question 4. Somebody adds e = x * u to the graph, for another purpose (f does not use e).
# Over how many paths must we now add up to get the derivative of f with respect to x?
### BEGIN SOLUTION
# stub: paths_from_x_beside_e = ...
paths_from_x_beside_e = 2
### END SOLUTION


# Code. The gradient of f at any x, y, z. Fill in the derivative of each edge, then combine them.
def gradient_of_f(x, y, z):
    dfdg = 1.0
    dfdh = 1.0
    ### BEGIN SOLUTION
    # stub: dgdx = ...
    # stub: dgdy = ...
    # stub: dhdx = ...
    # stub: dhdz = ...
    # stub:
    # stub: dfdx = ...
    # stub: dfdy = ...
    # stub: dfdz = ...
    dgdx = y
    dgdy = x
    dhdx = z
    dhdz = x

    dfdx = dfdg * dgdx + dfdh * dhdx
    dfdy = dfdg * dgdy
    dfdz = dfdh * dhdz
    ### END SOLUTION
    return [dfdx, dfdy, dfdz]


# Code. Now n copies of f in a row, as in the picture: f1 = x*y + x*z, f2 = f1*y + f1*z, and so on.
# The derivative of the last of them with respect to x. Start at the end with 1 and step back copy
# by copy: one pass of the loop for one copy, so that a thousand copies take no time.
def slope_of_copies(y, z, n):
    grad = 1.0  # the derivative of the last f with respect to itself
    for _ in range(n):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("slope_of_copies is not written yet.")
        dgdx, dhdx = y, z
        through_g = grad * dgdx
        through_h = grad * dhdx
        grad = through_g + through_h
        ### END SOLUTION
    return grad


# %% check="chain_rule" points=12
check("chain_rule")

# %% [markdown]
# ## Does it hold?
#
# Your functions against a nudge, and the thousand million paths in no time:

# %%
from chain_rule import gradient_of_f, slope_of_copies


def f(x, y, z):
    return x * y + x * z


nudge = 1e-6
at = (3.0, 4.0, -5.0)
by_nudge = [(f(3 + nudge, 4, -5) - f(*at)) / nudge, (f(3, 4 + nudge, -5) - f(*at)) / nudge]
print("by the chain rule:", gradient_of_f(*at), " x and y by nudge:", by_nudge)
print("thirty copies, y = 0.6, z = 0.5:", slope_of_copies(0.6, 0.5, 30))

# %% [markdown]
# Did you notice what `slope_of_copies` does not know? Which copy it is at, what came before, what
# $x$ was. At each step it has one number that was handed to it from behind, multiplies it with
# local derivatives, and hands the results on. That makes it possible to give the job to the nodes
# themselves, which is what you do next.
