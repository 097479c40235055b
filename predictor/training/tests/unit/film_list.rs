//! Unit tests of `src/film_list.rs`.

use super::*;

#[test]
fn folders_and_tables_are_read_and_parted_by_group() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["open", "shut"] {
        let class = folder.path().join(class);
        std::fs::create_dir(&class).unwrap();
        for i in 0..10 {
            std::fs::write(class.join(format!("{i}.mp4")), "").unwrap();
        }
    }
    let list = FilmList::read(folder.path()).unwrap();
    assert_eq!(list.classes, ["open", "shut"]);
    assert_eq!(list.counts(), [10, 10]);
    let [rest, out] = list.clone().parted(0.3, 1).unwrap();
    assert_eq!((rest.counts(), out.counts()), (vec![7, 7], vec![3, 3]));
    assert!(out.films.iter().all(|film| !rest.films.contains(film)));
    assert_eq!(list.clone().parted(0.3, 1).unwrap()[1], out);
    assert_ne!(list.parted(0.3, 2).unwrap()[1], out);

    let table = folder.path().join("films.csv");
    let rows = "path,class,group\na.mp4,x,1\nb.mp4,x,1\nc.mp4,x,2\nd.mp4,y,3\ne.mp4,y,4\n";
    std::fs::write(&table, rows).unwrap();
    let list = FilmList::read(&table).unwrap();
    assert_eq!(list.films[0].path, folder.path().join("a.mp4"));
    let [rest, out] = list.parted(0.5, 0).unwrap();
    let groups =
        |l: &FilmList| -> Vec<String> { l.films.iter().map(|film| film.group.clone()).collect() };
    assert!(groups(&rest)
        .iter()
        .all(|group| !groups(&out).contains(group)));
    assert_eq!(rest.films.len() + out.films.len(), 5);

    let other = FilmList::read(&table).unwrap();
    let error = other.numbered_as(&["x".into(), "z".into()]).unwrap_err();
    assert!(error.to_string().contains("class y"), "{error}");
}

#[test]
fn what_is_wrong_with_a_list_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = FilmList::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("a folder per class"), "{error}");
    let table = folder.path().join("films.csv");
    for (text, said) in [
        ("film,label\na,b\n", "columns `path` and `class`"),
        ("path,class\na.mp4,\n", "line 2"),
        ("path,class\n", "lists no films"),
        (
            "path,class\na.mp4,x\nb.mp4,y\na.mp4,y\n",
            "a.mp4 is listed twice",
        ),
    ] {
        std::fs::write(&table, text).unwrap();
        let error = FilmList::read(&table).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    std::fs::write(&table, "path,class\na.mp4,x\nb.mp4,y\nc.mp4,y\n").unwrap();
    let error = FilmList::read(&table).unwrap().parted(0.2, 0).unwrap_err();
    assert!(error.to_string().contains("class x"), "{error}");
}
