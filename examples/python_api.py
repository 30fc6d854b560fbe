"""From Python, step by step, as in a notebook: run, look, compare, keep the models."""

# %% Run two methods at two seeds; what results/quick has already is not computed again
import pfl_bench as pfl

results = pfl.run("quick", methods=["local", "ditto"], seeds=range(2), budget_scale=0.3, executor="serial")

# %% The table
board = results.leaderboard()
print(board[["rank", "method", "accuracy_mean", "accuracy_std", "seeds", "versus_best"]])

# %% For whom: the clients that gain from taking part, seed by seed
wide = results.clients.pivot_table(index=["seed", "client"], columns="method", values="accuracy")
gains = wide["ditto"] - wide["local"]
print(f"{(gains > 0).mean():.0%} of the clients gain, the median by {gains.median():.1f} points")

# %% At what cost
print(results.runs.groupby("method")[["bytes_down", "bytes_up", "local_steps", "seconds"]].mean())

# %% When: the validation curve of every run
curve = results.curves.query("split == 'validation'").pivot_table(index="visits", columns="method", values="accuracy")
print(curve.round(1))

# %% Beside the published results, which ship with the package
published = pfl.published("quick").leaderboard()
print(published[["rank", "method", "accuracy_mean"]].head(5))
