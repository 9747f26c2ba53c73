// Holds custom resources below deploy/ against the schemas of whoever defines them: Argo CD, Flux, the Prometheus operator.
import { readFileSync } from "node:fs";
import yaml from "js-yaml";

const packages = {
  "argoproj.io": "@kubernetes-models/argo-cd",
  "source.toolkit.fluxcd.io": "@kubernetes-models/flux-cd",
  "kustomize.toolkit.fluxcd.io": "@kubernetes-models/flux-cd",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};

let checked = 0;
for (const file of process.argv.slice(2)) {
  for (const document of yaml.loadAll(readFileSync(file, "utf8"))) {
    const [group, version] = document.apiVersion.split("/");
    const models = await import(`${packages[group]}/${group}/${version}`);
    new models[document.kind](document).validate();
    checked += 1;
    console.log(`ok  ${file}: ${document.kind} ${document.metadata.name}`);
  }
}
if (checked === 0) throw new Error("nothing was checked");
