"""Addresses of jobs and of what belongs to one: records, failures, replays, downloads."""

from django.urls import path

from jobs.web import compare, failures, job, job_budget, job_cost, jobs, launch, records, replays

urlpatterns = [
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/new/", launch.job_new, name="job_new"),
    path("jobs/new/estimate/", launch.job_estimate, name="job_estimate"),
    path("jobs/compare/", compare.job_compare, name="job_compare"),
    path("jobs/compare/differences.csv", compare.job_compare_csv, name="job_compare_csv"),
    path("jobs/<slug:job_id>/", job.job, name="job"),
    path("jobs/<slug:job_id>/pause/", job.job_pause, name="job_pause"),
    path("jobs/<slug:job_id>/resume/", job.job_resume, name="job_resume"),
    path("jobs/<slug:job_id>/cancel/", job.job_cancel, name="job_cancel"),
    path("jobs/<slug:job_id>/budget/", job_budget.job_budget, name="job_budget"),
    path("jobs/<slug:job_id>/results/", job.job_results, name="job_results"),
    path("jobs/<slug:job_id>/ledger/", job_cost.job_ledger, name="job_ledger"),
    path("jobs/<slug:job_id>/revalue/", job_cost.job_revalue, name="job_revalue"),
    path("jobs/<slug:job_id>/failures/", failures.failures, name="failures"),
    path("jobs/<slug:job_id>/records/<int:n>/", records.record, name="record"),
    path("jobs/<slug:job_id>/replay/", replays.replay_new, name="replay_new"),
    path("jobs/<slug:job_id>/replays/<slug:replay_id>/", replays.replay, name="replay"),
]
