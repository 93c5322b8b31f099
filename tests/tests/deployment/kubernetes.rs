//! The manifest for Kubernetes.

use connector_host::config::{self, Raw};
use serde_json::Value;

use super::{Environment, assert_is_filled_in_by_its_user, documents, image};

const FILE: &str = "deploy/kubernetes.yaml";

fn of_kind(kind: &str) -> Value {
    let mut found: Vec<Value> = documents(FILE)
        .into_iter()
        .filter(|it| it["kind"] == kind)
        .collect();
    assert_eq!(found.len(), 1, "{kind}");
    found.remove(0)
}

fn environment() -> Environment {
    let texts = |object: &Value| -> Environment {
        serde_json::from_value(object.clone()).expect("texts alone, as Kubernetes asks")
    };
    let mut environment = texts(&of_kind("ConfigMap")["data"]);
    environment.extend(texts(&of_kind("Secret")["stringData"]));
    environment
}

#[test]
fn its_settings_are_those_of_the_connector_and_secrets_stand_in_the_secret() {
    assert_is_filled_in_by_its_user(&environment(), FILE);
    let secrets: Vec<String> = of_kind("Secret")["stringData"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let expected = ["OPENCTI_TOKEN", "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY"];
    assert_eq!(secrets, expected);
}

#[test]
fn one_pod_runs_as_nobody_and_reads_what_stands_beside_it() {
    let deployment = of_kind("Deployment");
    let spec = &deployment["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"]["type"], "Recreate");
    let template = &spec["template"];
    assert_eq!(
        spec["selector"]["matchLabels"],
        template["metadata"]["labels"]
    );
    let pod = &template["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    let container = &pod["containers"][0];
    assert_eq!(container["image"], image());
    let rights = &container["securityContext"];
    assert_eq!(rights["readOnlyRootFilesystem"], true);
    assert_eq!(rights["allowPrivilegeEscalation"], false);
    assert_eq!(rights["capabilities"]["drop"][0], "ALL");
    for (number, (reference, kind)) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")]
        .into_iter()
        .enumerate()
    {
        let name = &container["envFrom"][number][reference]["name"];
        assert_eq!(*name, of_kind(kind)["metadata"]["name"]);
    }
}

#[test]
fn its_probes_reach_the_status() {
    let deployment = of_kind("Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let address = config::load_status(&Raw::new(environment())).unwrap();
    let address = address.expect("the status to be served").address;
    assert!(
        address.ip().is_unspecified(),
        "the kubelet asks from outside"
    );
    let port = &container["ports"][0];
    assert_eq!(port["containerPort"], address.port());
    for (probe, path) in [
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["path"], path);
        assert_eq!(get["port"], port["name"]);
    }
}
