"""Parse the other files of office programs: workbooks, slides, OpenDocument, RTF."""
