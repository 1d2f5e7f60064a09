"""Training a conductor on workflows that really ran (extra `train`).

    tasks ──> data ──> warm start (SFT) ──> GRPO ──> adaptive pools ──> recursion ──> export
                          ^                  |
                          └── plans that ran and were right; every reward is an episode (`run_episode`)

Source: Nielsen et al. 2025, sections 3 and 4, appendix A (arXiv 2512.04388).
"""
