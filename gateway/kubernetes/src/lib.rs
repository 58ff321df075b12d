//! What the API of a Kubernetes cluster says: asked over plain HTTPS, since of its hundreds of calls two are needed.
//!
//! [`follow`] lists objects of a kind and then watches them, whatever happens to the API; [`Api`] is one request. [`Pods`] is what
//! is known of the pods of a node or of a cluster: who owns them, their labels, their addresses, what their annotations wish.
//! What a log line or a target makes of it is the business of those who ask.

mod api;
mod follow;
mod node;
mod owner;
mod pod;
mod pods;
#[cfg(test)]
mod tests;
mod wishes;

pub use api::{Access, Api, Failure, Kind, or_default};
pub use follow::{Follower, Object, follow};
pub use owner::Owner;
pub use pod::{Pod, Selection};
pub use pods::{Counters, Pods, Told, Watch};
pub use wishes::{Exclude, Wishes};
