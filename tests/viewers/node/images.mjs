// What a viewer knows of the images under a result: its metadata provider, from our headers.
const known = {};
const added = {};

const modules = {
  generalImageModule: i => ({ sopInstanceUID: i.sop }),
  sopCommonModule: i => ({ sopInstanceUID: i.sop, sopClassUID: i.sopClass }),
  generalSeriesModule: i => ({ seriesInstanceUID: i.series, modality: i.modality }),
  imagePlaneModule: i => ({
    rowCosines: i.orientation?.slice(0, 3),
    columnCosines: i.orientation?.slice(3),
    imageOrientationPatient: i.orientation,
    imagePositionPatient: i.position,
    rows: i.rows,
    columns: i.columns,
    rowPixelSpacing: i.spacing?.[0],
    columnPixelSpacing: i.spacing?.[1],
    pixelSpacing: i.spacing,
    frameOfReferenceUID: i.frameOfReference,
    sliceThickness: 1,
  }),
  imagePixelModule: i => ({
    rows: i.rows,
    columns: i.columns,
    samplesPerPixel: 1,
    bitsAllocated: 16,
    bitsStored: 16,
    highBit: 15,
    pixelRepresentation: 1,
    photometricInterpretation: 'MONOCHROME2',
  }),
  instance: i => ({
    SOPInstanceUID: i.sop,
    SOPClassUID: i.sopClass,
    SeriesInstanceUID: i.series,
    FrameOfReferenceUID: i.frameOfReference,
    ImagePositionPatient: i.position,
    ImageOrientationPatient: i.orientation,
    Rows: i.rows,
    Columns: i.columns,
  }),
};

export const provider = {
  get: (type, id) => added[type + id] ?? (known[id] && modules[type]?.(known[id])),
  addCustomMetadata: (id, type, metadata) => {
    added[type + id] = metadata;
  },
};

/** Image ids in the order of `images`. */
export function show(core, images) {
  core.metaData.addProvider(provider.get, 10000);
  return images.map(image => {
    const id = `wadors:/series/${image.sop}/frames/${image.frame}`;
    known[id] = image;
    return id;
  });
}
