//! What people do on both sides.

use std::collections::BTreeSet;

use bytes::Bytes;
use fgd_sync::domain::names::Oid;
use serde_json::{Value, json};

use super::acts::{FIELDS, NAMES, Person, Side, document, spec};
use super::remote;
use super::world::{KIND, World, at, file_of};
use crate::support::fakes::netbox::Object;

impl World<'_> {
    pub fn person(&mut self, fabric: &'static str, person: &Person) {
        match person {
            Person::CreateRow(name) => self.create_row(fabric, NAMES[*name]),
            Person::SetField(name, field) => self.set_field(fabric, NAMES[*name], *field),
            Person::RenameRow(from, to) => {
                let (from, to) = (NAMES[*from], NAMES[*to]);
                if let Some(id) = self.only_row(fabric, from)
                    && self.only_row(fabric, to).is_none()
                {
                    self.netbox.user("alice").rename(KIND, id, to);
                    self.history.forget(fabric, &[from, to]);
                }
            }
            Person::DeleteRow(name) => {
                if let Some(id) = self.only_row(fabric, NAMES[*name]) {
                    self.netbox.user("alice").delete(KIND, id);
                    self.history.forget(fabric, &[NAMES[*name]]);
                }
            }
            Person::WriteFile(name, field) => self.write_files(fabric, &[NAMES[*name]], *field),
            Person::WriteFiles(field) => {
                let readable = NAMES.into_iter().filter(|name| self.file_values(fabric, name).is_some());
                let names: Vec<&'static str> = readable.collect();
                self.write_files(fabric, &names, *field);
            }
            Person::Reformat(name) => self.edit(fabric, NAMES[*name], |text| format!("# a comment\n{text}")),
            Person::BreakFile(name) => {
                self.history.forget(fabric, &[NAMES[*name]]);
                self.edit(fabric, NAMES[*name], |_| "a: [1\n".to_owned());
            }
            Person::DeleteFile(name) => {
                self.history.forget(fabric, &[NAMES[*name]]);
                self.push(|files| drop(files.remove(&file_of(fabric, NAMES[*name]))));
            }
            Person::Drop(file, documents) => self.drop_file(fabric, *file, documents),
            Person::Rewind(commits) => {
                self.remote.rewind(*commits);
                self.rewound = true;
                let left: BTreeSet<Oid> = self.remote.history().into_iter().map(|(oid, _)| oid).collect();
                self.human_commits.retain(|commit| left.contains(commit));
                self.history.forget_all();
            }
        }
    }

    pub fn fresh(&mut self) -> String {
        self.counter += 1;
        format!("v{}", self.counter)
    }

    fn create_row(&mut self, fabric: &'static str, name: &'static str) {
        if !self.rows(fabric, name).is_empty() {
            return;
        }
        let values = [self.fresh(), self.fresh()];
        let content = spec([&values[0], &values[1]]);
        self.netbox.user("alice").create(&Object::new(KIND, fabric, name, content));
        for (field, value) in FIELDS.iter().zip(&values) {
            self.history.wrote(Side::NetBox, (fabric, name, field), None, value);
        }
    }

    fn set_field(&mut self, fabric: &'static str, name: &'static str, field: usize) {
        let Some(id) = self.only_row(fabric, name) else { return };
        let mut spec = self.rows(fabric, name)[0]["spec"].clone();
        let (was, value) = (spec[FIELDS[field]].as_str().map(str::to_owned), self.fresh());
        spec[FIELDS[field]] = json!(value);
        self.netbox.user("bob").update(KIND, id, json!({ "spec": spec }));
        self.history.wrote(Side::NetBox, (fabric, name, FIELDS[field]), was, &value);
    }

    /// Changes one field of each file, or writes a new file; all in one commit.
    fn write_files(&mut self, fabric: &'static str, names: &[&'static str], field: usize) {
        let mut texts = Vec::new();
        for name in names {
            let values = self.file_values(fabric, name);
            let value = self.fresh();
            let was = values.as_ref().map(|values| values[field].clone());
            let (mut new, written) = match values {
                Some(values) => (values, vec![field]),
                None => ([value.clone(), value.clone()], vec![0, 1]),
            };
            new[field].clone_from(&value);
            texts.push((file_of(fabric, name), Bytes::from(document(name, [&new[0], &new[1]]))));
            for field in written {
                self.history.wrote(Side::Git, (fabric, name, FIELDS[field]), was.clone(), &value);
            }
        }
        self.push(|files| files.extend(texts));
    }

    /// The fields of a managed file that can be read.
    fn file_values(&self, fabric: &str, name: &str) -> Option<[String; 2]> {
        let files = self.remote.files();
        let document: Value = serde_yaml::from_slice(files.get(&file_of(fabric, name))?).ok()?;
        let value = |field: &str| document["spec"][field].as_str().map(str::to_owned);
        Some([value(FIELDS[0])?, value(FIELDS[1])?])
    }

    fn edit(&mut self, fabric: &str, name: &str, change: impl FnOnce(&str) -> String) {
        self.push(|files| {
            if let Some(bytes) = files.get_mut(&file_of(fabric, name)) {
                *bytes = Bytes::from(change(&String::from_utf8_lossy(bytes)));
            }
        });
    }

    fn drop_file(&mut self, fabric: &'static str, file: usize, documents: &[Option<usize>]) {
        let path = at(fabric, ["raw/one.yaml", "raw/two/three.yml"][file]);
        let mut texts = Vec::new();
        for name in documents {
            let Some(name) = name.map(|name| NAMES[name]) else {
                texts.push(format!("not: ours\nv: {}\n", self.fresh()));
                continue;
            };
            let value = self.fresh();
            texts.push(document(name, [&value, &value]));
            // Whoever drops a document means the whole object, whatever both sides have.
            self.history.forget(fabric, &[name]);
        }
        let text = Bytes::from(texts.join("---\n"));
        self.dropped.retain(|(dropped, _)| *dropped != path);
        self.dropped.push((path.clone(), text.clone()));
        self.push(|files| drop(files.insert(path, text)));
    }

    fn push(&mut self, change: impl FnOnce(&mut remote::Files)) {
        self.human_commits.extend(self.remote.push(change));
    }

    pub fn rows(&self, fabric: &str, name: &str) -> Vec<Value> {
        self.netbox.rows(KIND).into_iter().filter(|row| row["fabric"] == fabric && row["name"] == name).collect()
    }

    fn only_row(&self, fabric: &str, name: &str) -> Option<u64> {
        match self.rows(fabric, name).as_slice() {
            [row] => row["id"].as_u64(),
            _ => None,
        }
    }
}
