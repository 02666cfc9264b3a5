"""`python -m dicom_ai_node` is the command line: the way the node starts its own roles."""

from dicom_ai_node.cli.app import main

if __name__ == "__main__":
    main()
