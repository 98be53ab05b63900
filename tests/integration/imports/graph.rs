//! Finds which file of `src` imports which, with a parser.
//!
//! A file imports the file that *defines* what it names: the test follows each re-export to its definition. Therefore
//! no file imports a `mod.rs` that only declares and re-exports. Code under `#[cfg(test)]` does not count.

use std::collections::{BTreeMap, BTreeSet};

use syn::{
    Attribute, File, Item, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

/// The segments of a path from the crate's root.
type Path = Vec<String>;

/// The files of a crate, by module.
pub(super) struct Sources {
    modules: BTreeMap<Path, Module>,
}

struct Module {
    file: String,
    syntax: File,
    children: BTreeSet<String>,
    /// Names that the module imports, with the full path of each.
    names: BTreeMap<String, Path>,
    /// Of these, the names that other modules may use through this module.
    exported: BTreeSet<String>,
}

/// The module that a file of `src` holds.
fn module_path(file: &str) -> Path {
    let stem = file.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    if stem == "lib" { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// Whether an item exists in tests only. A feature for tests or fuzz targets is not production code either.
fn is_test_only(attributes: &[Attribute]) -> bool {
    let mentions_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list)
                if list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word == "test"))
    };
    attributes.iter().any(mentions_test)
}

impl Sources {
    /// Parses the text of every file that is not a test. Paths are relative to `src`.
    pub(super) fn read(files: &[(String, String)]) -> Self {
        let parse = |(file, text): &(String, String)| {
            let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            let (children, names) = (BTreeSet::new(), BTreeMap::new());
            let module =
                Module { file: file.clone(), syntax, children, names, exported: BTreeSet::new() };
            (module_path(file), module)
        };
        let mut modules: BTreeMap<_, _> = files.iter().map(parse).collect();
        for path in modules.keys().cloned().collect::<Vec<_>>() {
            if let Some((name, parent)) = path.split_last()
                && let Some(parent) = modules.get_mut(parent)
            {
                parent.children.insert(name.clone());
            }
        }
        for (path, module) in &mut modules {
            let mut uses = Uses { at: path, module: &module.children, found: Vec::new() };
            uses.visit_file(&module.syntax);
            for (name, target, is_exported) in uses.found {
                if is_exported {
                    module.exported.insert(name.clone());
                }
                module.names.insert(name, target);
            }
        }
        Self { modules }
    }

    /// Each file with the files that it imports.
    pub(super) fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let of = |(path, module): (&Path, &Module)| {
            let mut named = Named { at: path, module, found: BTreeSet::new() };
            named.visit_file(&module.syntax);
            let found = named.found.iter().filter_map(|target| self.file_of(target));
            (module.file.clone(), found.filter(|file| *file != module.file).collect())
        };
        self.modules.iter().map(of).collect()
    }

    /// The file that defines what a full path names. `None` if the path leads out of this crate.
    fn file_of(&self, path: &[String]) -> Option<String> {
        let mut path = path.to_vec();
        // Each step follows one re-export. Chains of re-exports are short.
        for _ in 0..16 {
            let depth = (0..=path.len()).rev().find(|n| self.modules.contains_key(&path[..*n]))?;
            let module = &self.modules[&path[..depth]];
            let next = path.get(depth).and_then(|name| {
                let target = module.names.get(name).filter(|_| module.exported.contains(name))?;
                Some(target.iter().chain(&path[depth + 1..]).cloned().collect::<Path>())
            });
            match next {
                Some(next) if next != path => path = next,
                // The path names a whole module, as in `use crate::clock`. The uses of its items count instead.
                _ if depth == path.len() => return None,
                _ => return Some(module.file.clone()),
            }
        }
        None
    }
}

/// The full path of a path written in the module `at`. `None` if it leads out of the crate.
fn resolve(at: &[String], children: &BTreeSet<String>, written: &[String]) -> Option<Path> {
    let mut base = at.to_vec();
    let mut rest = written;
    match written.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
        first if children.contains(first) => {}
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// Collects the names that `use` declarations import.
struct Uses<'a> {
    at: &'a Path,
    module: &'a BTreeSet<String>,
    /// The local name, the full path, and whether other modules may use the name.
    found: Vec<(String, Path, bool)>,
}

impl Uses<'_> {
    fn tree(&mut self, tree: &UseTree, before: &[String], is_exported: bool) {
        let mut path = before.to_vec();
        let (name, target) = match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                return self.tree(&inner.tree, &path, is_exported);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|item| self.tree(item, before, is_exported));
            }
            UseTree::Name(name) if name.ident == "self" => (path.last().cloned(), path),
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                (path.last().cloned(), path)
            }
            UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                (Some(rename.rename.to_string()), path)
            }
            UseTree::Glob(_) => {
                path.push("*".to_owned());
                (path.last().cloned(), path)
            }
        };
        if let (Some(name), Some(target)) = (name, resolve(self.at, self.module, &target)) {
            self.found.push((name, target, is_exported));
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_exported = !matches!(item.vis, Visibility::Inherited);
        self.tree(&item.tree, &[], is_exported);
    }
}

/// Collects the full paths that code names.
struct Named<'a> {
    at: &'a Path,
    module: &'a Module,
    found: BTreeSet<Path>,
}

impl<'ast> Visit<'ast> for Named<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, _: &'ast ItemUse) {
        // `use a::{b, c}` imports the definitions of `b` and `c`, not `a`.
        self.found.extend(self.module.names.values().cloned());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|part| part.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// The arguments of a macro are tokens only, so every path among them counts.
    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let text = called.tokens.to_string().replace(" :: ", "::");
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for word in text.split(|c| !is_name(c)).filter(|word| word.contains("::")) {
            self.path(
                word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            );
        }
    }
}

impl Named<'_> {
    fn path(&mut self, written: Path) {
        let through_name = written.first().and_then(|first| self.module.names.get(first));
        let target = match through_name {
            Some(target) => Some(target.iter().chain(&written[1..]).cloned().collect()),
            None => resolve(self.at, &self.module.children, &written),
        };
        self.found.extend(target);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// Groups of files that import each other, directly or in a longer cycle.
pub(super) fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |start: &String| {
        let mut found = BTreeSet::new();
        let mut open: Vec<_> = imports.get(start).into_iter().flatten().collect();
        while let Some(file) = open.pop() {
            if found.insert(file.clone()) {
                open.extend(imports.get(file).into_iter().flatten());
            }
        }
        found
    };
    let reachable: BTreeMap<_, _> = imports.keys().map(|file| (file, reach(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, reached) in &reachable {
        let back = reached
            .iter()
            .filter(|other| reachable.get(other).is_some_and(|it| it.contains(*file)));
        let circle: Vec<_> = back.cloned().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}
