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
# Every figure is a row, with its 95% interval and its number of items.

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
# A figure for a paper: every score with its interval, as PNG, SVG or PDF by the file's suffix. A notebook shows it. The
# intervals show how little four items tell.

# %%
scores = medbench.figure(runs, "scores", "scores.pdf", width="page")
print(scores.caption)
scores

# %% [markdown]
# What the model answered to one question.

# %%
medbench.figure(runs, "answers", "answers.png", benchmarks="medquad-sample")

# %% [markdown]
# The frame is an ordinary DataFrame, so any other plot is a few lines away.

# %%
import matplotlib

matplotlib.use("Agg")
axes = accuracy.plot.barh("benchmark", "value", legend=False, xlim=(0, 1), xlabel="accuracy")
axes.figure.savefig("accuracy.png")
