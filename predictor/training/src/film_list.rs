//! Films with their classes: a folder per class, or a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use rand::seq::SliceRandom;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A film and what it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledFilm {
    /// Where it is.
    pub path: PathBuf,
    /// Index into [`FilmList::classes`].
    pub class: usize,
    /// Films of one group, those of one scene for example, are never parted.
    pub group: String,
}

/// Films of several classes.
#[derive(Debug, Clone, PartialEq)]
pub struct FilmList {
    /// Names of the classes, in order.
    pub classes: Vec<String>,
    /// The films, in path order.
    pub films: Vec<LabelledFilm>,
}

impl FilmList {
    /// Reads a folder with a folder of films (videos, images, folders of either) per class, or a CSV
    /// table with columns `path` and `class`, and maybe `group`; its paths start from where it lies.
    ///
    /// # Errors
    /// Naming what can't be read, and when there are no films.
    pub fn read(path: &Path) -> Result<Self> {
        let mut found = if path.is_dir() {
            of_folders(path)?
        } else {
            of_table(path)?
        };
        found.sort();
        let mut classes: Vec<String> = found.iter().map(|(_, class, _)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let films = found.into_iter().map(|(path, class, group)| LabelledFilm {
            class: classes.binary_search(&class).unwrap_or(0),
            group: group.unwrap_or_else(|| path.display().to_string()),
            path,
        });
        let films = films.collect();
        let list = FilmList { classes, films };
        if let Some(film) = FilmList::twice(&[&list]) {
            bail!(
                "{}: {} is listed twice; a film has one line and one class",
                path.display(),
                film.display()
            );
        }
        Ok(list)
    }

    /// A film that stands in these lists more than once, by whatever path.
    pub fn twice<'a>(lists: &[&'a Self]) -> Option<&'a Path> {
        let mut seen = BTreeSet::new();
        let mut films = lists.iter().flat_map(|list| &list.films);
        let known = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let film = films.find(|film| !seen.insert(known(&film.path)))?;
        Some(&film.path)
    }

    /// The films, whose classes must be among `classes`, numbered as those.
    ///
    /// # Errors
    /// Naming a class that isn't.
    pub fn numbered_as(mut self, classes: &[String]) -> Result<Self> {
        for film in &mut self.films {
            let name = &self.classes[film.class];
            let Some(class) = classes.iter().position(|known| known == name) else {
                bail!(
                    "{} is of class {name}, which the probe doesn't learn; it learns {}",
                    film.path.display(),
                    classes.join(", ")
                );
            };
            film.class = class;
        }
        self.classes = classes.to_vec();
        Ok(self)
    }

    /// How many films each class has.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for film in &self.films {
            counts[film.class] += 1;
        }
        counts
    }

    /// Parts `share` of every class's groups off, at least one: the rest, and what was parted off.
    /// `seed` decides which; a group counts for the class of its first film.
    ///
    /// # Errors
    /// When a class has a single group.
    pub fn parted(self, share: f64, seed: u64) -> Result<[Self; 2]> {
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for film in &self.films {
            groups.entry(&film.group).or_insert(film.class);
        }
        let mut taken: Vec<String> = Vec::new();
        for (class, name) in self.classes.iter().enumerate() {
            let of_class = groups.iter().filter(|(_, of)| **of == class);
            let mut of_class: Vec<&str> = of_class.map(|(group, _)| *group).collect();
            if of_class.len() < 2 {
                bail!(
                    "class {name} has {} films or groups of them, too few to hold some out; give more of it, or leave it out",
                    of_class.len()
                );
            }
            of_class.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ class as u64));
            let count = (share * of_class.len() as f64).round() as usize;
            let count = count.clamp(1, of_class.len() - 1);
            taken.extend(of_class[..count].iter().map(|group| (*group).to_owned()));
        }
        taken.sort();
        let classes = self.classes;
        let (out, rest): (Vec<_>, Vec<_>) = self
            .films
            .into_iter()
            .partition(|film| taken.binary_search(&film.group).is_ok());
        Ok([rest, out].map(|films| FilmList {
            classes: classes.clone(),
            films,
        }))
    }
}

/// A film, its class and its group.
type ListedFilm = (PathBuf, String, Option<String>);

fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let listed = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((entry.path(), name));
        }
    }
    Ok(entries)
}

fn of_folders(folder: &Path) -> Result<Vec<ListedFilm>> {
    let mut rows = Vec::new();
    for (class_folder, class) in entries(folder)? {
        if class_folder.is_dir() {
            let films = entries(&class_folder)?.into_iter();
            rows.extend(films.map(|(film, _)| (film, class.clone(), None)));
        }
    }
    if rows.is_empty() {
        bail!(
            "{} has no folders with films in them: make a folder per class, named after it",
            folder.display()
        );
    }
    Ok(rows)
}

fn of_table(path: &Path) -> Result<Vec<ListedFilm>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let named = || path.display().to_string();
    let headers = reader.headers().with_context(named)?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim() == name);
    let (Some(film), Some(class)) = (column("path"), column("class")) else {
        bail!(
            "{}: its first line must name the columns `path` and `class`, and may name `group`",
            path.display()
        );
    };
    let group = column("group");
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.with_context(named)?;
        let field = |at: usize| row.get(at).unwrap_or_default().trim().to_owned();
        if field(film).is_empty() || field(class).is_empty() {
            let line = row.position().map_or(0, csv::Position::line);
            bail!("{}: line {line} has no path or no class", path.display());
        }
        let group = group.map(field).filter(|group| !group.is_empty());
        rows.push((folder.join(field(film)), field(class), group));
    }
    if rows.is_empty() {
        bail!("{} lists no films", path.display());
    }
    Ok(rows)
}

#[cfg(test)]
#[path = "../tests/unit/film_list.rs"]
mod tests;
