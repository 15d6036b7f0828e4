# %% [markdown]
# # From an evaluation to a figure
#
# The default model answers a few questions of the samples that ship with medbench. It is downloaded once.

# %%
import medbench

runs = medbench.evaluate("smollm2-135m", "quick", limit=4)
assert not runs.problems, runs.problems
runs

# %% [markdown]
# Every figure is a row, with its 95 % interval and its number of items.

# %%
frame = runs.frame()
accuracy = frame[frame["metric"] == "accuracy"]
accuracy[["model", "benchmark", "value", "low", "high", "n"]]

# %% [markdown]
# Every answer is a row, too. These are the wrong choices.

# %%
items = runs.items()
items[items["accuracy"] == 0][["benchmark", "item", "chosen", "gold"]]

# %% [markdown]
# The intervals show how little four items tell.

# %%
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

errors = [accuracy["value"] - accuracy["low"], accuracy["high"] - accuracy["value"]]
pyplot.errorbar(accuracy["benchmark"], accuracy["value"], yerr=errors, fmt="o", capsize=4)
pyplot.ylabel("accuracy, with its 95 % interval")
pyplot.ylim(0, 1)
pyplot.savefig("accuracy.png")
