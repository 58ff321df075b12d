//! The workloads of an answer: what spans and labels say of one pod is one of them.

use parsers::record::Workload;

use super::RelatedWorkload;

/// Adds a workload, unless it is a pod that is there already and both say nothing that the other denies: then that one learns from it.
pub(super) fn add(known: &mut Vec<RelatedWorkload>, new: RelatedWorkload) {
    match known.iter_mut().find(|old| is_same_pod(&old.workload, &new.workload)) {
        Some(old) => {
            old.workload = without_derived(&old.workload);
            for (field, said) in fields_mut(&mut old.workload).into_iter().zip(fields(&new.workload)) {
                if field.is_none() {
                    field.clone_from(said);
                }
            }
            if old.reason.confidence < new.reason.confidence {
                old.reason = new.reason;
            }
        }
        None => known.push(new),
    }
}

fn is_same_pod(a: &Workload, b: &Workload) -> bool {
    let named = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    let pod = named(&a.pod_uid, &b.pod_uid) || named(&a.pod, &b.pod);
    let denied = |(a, b): (&Option<String>, &Option<String>)| a.is_some() && b.is_some() && a != b;
    let (a, b) = (without_derived(a), without_derived(b));
    pod && !fields(&a).into_iter().zip(fields(&b)).any(denied)
}

/// Without a service's name that was taken from the container for want of a better one.
fn without_derived(of: &Workload) -> Workload {
    let service = of.service.clone().filter(|_| of.service != of.container);
    Workload { service, ..of.clone() }
}

fn fields(of: &Workload) -> [&Option<String>; 10] {
    [
        &of.cluster,
        &of.namespace,
        &of.pod_uid,
        &of.pod,
        &of.container,
        &of.node,
        &of.service,
        &of.version,
        &of.instance,
        &of.host,
    ]
}

fn fields_mut(of: &mut Workload) -> [&mut Option<String>; 10] {
    [
        &mut of.cluster,
        &mut of.namespace,
        &mut of.pod_uid,
        &mut of.pod,
        &mut of.container,
        &mut of.node,
        &mut of.service,
        &mut of.version,
        &mut of.instance,
        &mut of.host,
    ]
}
