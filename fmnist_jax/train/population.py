"""A population: many members, seeds and hyperparameters, of one config, trained together.

    population = Population(config, dataset, strategy="auto", devices=None, at_once=0, budget_bytes=None)
    sizes = population.chunks(members=20)                     # e.g. [7, 7, 6]
    outcome = population.train(members[:7], places=max(sizes), score_test=True, on_epoch=None, interrupts=None)

- `Population(config, dataset, *, strategy: "auto" | "vmap" | "loop", devices: Sequence[jax.Device] | None,
  at_once: int, budget_bytes: int | None)`. `at_once=0`: as many members as memory (vmap) or cores (loop) allow.
  Raises `ConfigError` as `make_run` does. Attributes: `strategy` (never `"auto"`), `device` (in words).
- `chunks(members: int) -> list[int]`: the sizes of the chunks that so many members are to be trained in. Depends on the
  memory that is there: what is to be resumed stores it.
- `train(members: Sequence[Member], *, places: int = 0, score_test: bool = False,
  on_epoch: Callable[[int], None] | None = None, interrupts: Interrupts | None = None) -> Outcome`: trains one chunk.
  `places`: how many members the program is compiled for, the size of the largest chunk, so that smaller ones need no
  compilation of their own (0: just these). A member's numbers depend on its config, itself, `places` and the devices,
  on nothing else: not on who else is in the chunk, nor on what was trained before. `on_epoch(epoch)` is called after
  each (1-based) epoch of the chunk, and may raise to stop. `interrupts`: an entered `Interrupts`, for a second Ctrl-C.
  Raises `ValueError` where the names of hyperparameters differ between members; `ConfigError`, naming
  `config.study.members_at_once`, where memory does not suffice.
- `Outcome(histories, train_seconds, eval_seconds, compile_seconds, strategy, device)`: `histories`, one for each member,
  are lists of records, one for each epoch, with `epoch, step, train_loss, train_accuracy, val_loss, val_accuracy,
  learning_rate`, and on the last, where the test set is scored, `test_loss, test_accuracy`. Numbers that are not finite
  are `None`; the history of a member that diverged ends with the epoch in which `train_loss` or `val_loss` became so,
  and its `test_*` are `None`, both. `train_seconds`, `eval_seconds`: of each epoch of the chunk, wall clock, all
  members together (divide by `len(members)`), lists as long as the epochs that the chunk took; scoring the test set is
  in neither. `compile_seconds`: spent since the last outcome, `chunks` included.
"""
