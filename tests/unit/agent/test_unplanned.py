from cellwright.agent.plan import PlanStep
from cellwright.agent.unplanned import unplanned


def step(tool: str, **args) -> PlanStep:
    return PlanStep(id="s1", tool=tool, args=args, delivers="", asked_by="")


UMAP = step("plot_cells", kind="umap")


def test_a_deliverable_that_no_step_makes_is_told() -> None:
    asks = ["a UMAP by donor and LYZ as a violin, thanks"]
    assert unplanned(asks, [UMAP], []) == ("LYZ as a violin",)
    assert unplanned(asks, [UMAP, step("plot_cells", kind="violin")], []) == ()
    assert unplanned(["UMAP 그리고, LYZ 바이올린 플롯"], [UMAP], []) == ("LYZ 바이올린 플롯",)


def test_what_is_refused_or_background_is_not_told_twice() -> None:
    asks = ["a UMAP", "a violin of velocities"]
    assert unplanned(asks, [UMAP], ["a violin of velocities"]) == ()
    asks = ["The violin comes from the last paper. a UMAP"]
    assert unplanned(asks, [UMAP], ["The violin comes from the last paper"]) == ()
    assert unplanned(asks, [UMAP], []) == ("The violin comes from the last paper",)
